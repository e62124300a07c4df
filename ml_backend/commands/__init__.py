"""What only the shell does: one module per subcommand."""
