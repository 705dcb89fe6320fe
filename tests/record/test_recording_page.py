from tests.record.recording_page import PAGE, table, with_table


def test_the_page_lists_every_channel_and_field():
    page = PAGE.read_text()
    assert table() in page
    assert with_table(page) == page, "run python -m tests.record.recording_page"
