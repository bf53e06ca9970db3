"""The ground floor that every other package stands on: images, codecs, seeds, cache, locks, grids, settings,
plugins, errors."""
