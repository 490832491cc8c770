"""One file for each group of addresses. A route translates; it decides nothing itself."""
