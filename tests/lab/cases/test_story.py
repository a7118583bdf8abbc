"""The main job by mouse, as `make demo` shows it; and a wrong password as a person at the desktop is told it."""

import lab
import pytest
import story


@pytest.mark.usefixtures("configured")
def test_a_click_connects_and_a_drop_is_told_and_mended() -> None:
    story.tell()


@pytest.mark.usefixtures("configured")
def test_a_wrong_password_is_told_in_words() -> None:
    lab.link("SetPassword", "s", "wrong-password")
    desktop = story.Desktop()
    try:
        with story.notifications() as told:
            desktop.click()
            _, text = told.next()
            desktop.picture_of_a_notification("wrong-password")
        assert "refused the user name or password" in text
        assert lab.prop("State") == "failed"
    finally:
        desktop.close()
