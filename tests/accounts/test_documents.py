import io

import pytest
from PIL import Image

from suite.accounts import documents

PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


def picture(kind: str) -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", (20, 20), "white").save(drawn, kind)
    return drawn.getvalue()


class TestInspect:
    @pytest.mark.parametrize(("content", "kind"), [(PDF, "pdf"), (picture("JPEG"), "jpeg"), (picture("PNG"), "png")])
    def test_the_content_tells_the_kind(self, content: bytes, kind: str) -> None:
        assert documents.inspect(content).kind == kind

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"MZ\x90\x00" + b"\0" * 100,
            b"<html><script>alert(1)</script></html>",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            picture("GIF"),
            picture("PNG")[:40],
            b"%PDF-1.4 and nothing more",
            PDF.replace(b"<<>>", b"<</OpenAction 2 0 R>>", 1),
            PDF.replace(b"<<>>", b"<</Encrypt 2 0 R>>", 1),
            b"%PDF-" + b"0" * (5 * 1024 * 1024) + b"%%EOF",
            b"junk%PDF-1.4\n%%EOF",
        ],
    )
    def test_a_disguised_broken_or_acting_file_is_refused(self, content: bytes) -> None:
        with pytest.raises(documents.DocumentRefused):
            documents.inspect(content)

    def test_what_hides_behind_an_image_is_left_behind(self) -> None:
        kept = documents.inspect(picture("PNG") + b"<script>alert(1)</script>").content
        assert b"script" not in kept

    def test_an_image_that_unfolds_into_gigabytes_is_refused(self) -> None:
        drawn = io.BytesIO()
        Image.new("1", (30_000, 30_000)).save(drawn, "PNG")
        with pytest.raises(documents.DocumentRefused):
            documents.inspect(drawn.getvalue())
