"""Logging of the applet: Python's and Qt's messages, to standard error (the session's journal or log file).

Owns the format and the Qt message handler. Must not be given text from the network or secrets.
"""

import logging
from types import TracebackType

from PyQt6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

log = logging.getLogger("cablecar.applet")

_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def setup() -> None:
    """Send everything to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(levelname)s: %(message)s")
    qInstallMessageHandler(_qt_message)


def excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Log an exception that nobody caught and go on: PyQt's own answer to one in a slot is to abort."""
    log.error("unhandled exception", exc_info=(kind, error, traceback))


def _qt_message(kind: QtMsgType, context: QMessageLogContext, text: str | None) -> None:
    logging.getLogger(f"qt.{context.category or 'default'}").log(_LEVELS.get(kind, logging.WARNING), "%s", text)
