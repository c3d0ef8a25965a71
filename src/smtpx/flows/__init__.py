"""Client conversations as generators: written once, driven with and without `await`."""
