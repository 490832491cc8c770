"""Tables in files as people have them: CSV of any kind, JSON lines, Parquet, Excel.

`format` finds out how a file is written, `columns` which of its columns are wanted, `source` opens
it, `blocks` cuts it, `cells` gives the text of each cell, `writing` that of numbers and times.

Others use `open_table` with `cells_of`, and `add_format_options` with `options_of`.

May import: model's errors, the stdlib, msgspec, numpy, pandas, pyarrow, openpyxl. Never a scorer.
"""
