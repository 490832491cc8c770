"""Many readings at once, column by column: tables of features, CSV files."""
