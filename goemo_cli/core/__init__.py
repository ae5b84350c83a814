"""Words everybody shares: names, paths, columns, settings, errors, events. Knows neither torch nor the terminal."""
