"""The router: alerts come in, are kept on disk, and leave as cards in Google Chat. None is lost."""
