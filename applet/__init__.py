"""Cablecar's tray applet: shows the links and asks the helper to dial; decides nothing itself."""
