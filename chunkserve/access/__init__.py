"""Who may see what: one pure decision over rules. Knows no HTTP; only ``rulefile`` reads a file."""
