"""Reading recordings and turning them into features."""
