// replaced when the first model lands
