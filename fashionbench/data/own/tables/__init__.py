"""Tables: CSV and Parquet files with a row for each image. May import data's arrays, dataset and readers."""
