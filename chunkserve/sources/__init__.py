"""Where the bytes lie: folders that are served, how far paths may reach, and reading from open files."""
