"""Network parts that two models share."""
