"""`rnncli forecast`: time series, from a table to forecasts."""
