"""What every floor above stands on: images, codecs, seeds, cache, settings, plugins, errors."""
