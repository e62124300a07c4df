"""Commands that measure, package and show the product: benchmark figures, the zip, the demo."""
