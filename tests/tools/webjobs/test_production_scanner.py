"""The app under the scanner that runs on Azure, which reads listings and ``$logs`` and keeps a checkpoint.

Its accounts have fixed names, so one app serves the whole module. An idle host looks at its internal queue up to a
minute later than the scanner, which looks every ten seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tools.webjobs.photos import photo
from tests.waiting import until
from tools.sample_photos.samples import render_samples

if TYPE_CHECKING:
    from tests.tools.webjobs.conftest import Lab


def test_the_samples_of_the_demo_and_an_overwrite(scanned_lab: Lab) -> None:
    samples = render_samples()
    expected = {sample.name: (sample.status, sample.label, sample.reason) for sample in samples}
    for sample in samples:
        scanned_lab.upload(sample.name, sample.content)
    scanned_lab.upload("overwritten.jpg", b"no picture")
    with scanned_lab.app() as app:
        rows = scanned_lab.wait_for_rows(*expected, "overwritten.jpg")
        assert rows["overwritten.jpg"].reason == "not_an_image"
        del rows["overwritten.jpg"]
        assert {name: (str(row.status), row.label, row.reason) for name, row in rows.items()} == expected
        etag = scanned_lab.upload("overwritten.jpg", photo())
        until(lambda: scanned_lab.rows()["overwritten.jpg"].etag.strip('"') == etag.strip('"'))
        assert str(scanned_lab.rows()["overwritten.jpg"].status) == "classified"
    names = scanned_lab.host_blobs()
    assert any(name.startswith("blobscaninfo/") for name in names), "the production scanner has written no checkpoint"
    assert app.host.exit_code == 0
