"""Answers to the ways to log in that cameras offer."""

from __future__ import annotations

import pytest
from vidgraph.stages.sources.camera.login import login_header

MD5 = 'Digest realm="x", nonce="y"'


@pytest.mark.parametrize(
    ("challenges", "way"),
    [
        (['Basic realm="x"'], "Basic"),
        ([MD5], "Digest"),
        (['Basic realm="x"', MD5], "Digest"),
        ([f'{MD5}, algorithm="MD5"'], "Digest"),
        (["Digest algorithm=MD5, realm=x, nonce=y"], "Digest"),
        ([f'{MD5}, algorithm="SHA-256"'], None),
        ([f'{MD5}, algorithm="SHA-256"', MD5], "Digest"),
        (["Bearer x"], None),
        ([], None),
    ],
)
def test_ways_to_log_in(challenges: list[str], way: str | None) -> None:
    header = login_header(challenges, user="ann", password="é", method="DESCRIBE", place="rtsp://h:554/x")
    assert (header and header.split()[0]) == way


def test_a_digest_as_the_standard_has_it() -> None:
    """Source: RFC 2617, 3.5, with its nonce, but without its qop."""
    challenge = (
        'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171"'
    )
    header = login_header([challenge], user="Mufasa", password="Circle Of Life", method="GET", place="/dir/index.html")
    assert header == (
        'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'uri="/dir/index.html", opaque="5ccc069c403ebaf9f0171", response="670fd8c2df070c60b045671b8b24ff02"'
    )
