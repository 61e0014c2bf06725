"""Who may see what: one pure decision over rules. Knows no files, no HTTP and no clock."""
