"""Cablecar's root helper: dials, watches and routes the tunnelled links of this machine."""

__version__ = "0.2.0.dev0"
