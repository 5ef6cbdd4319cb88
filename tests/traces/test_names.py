"""What of a span's name is the operation."""

from __future__ import annotations

import pytest

from aiops.traces.names import LONGEST, operation, peer


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"GET /users/42", b"GET /users/{id}"),
        (b"GET /users/42/orders/a7", b"GET /users/{id}/orders/{id}"),
        (b"GET /api/v1/users", b"GET /api/v1/users"),
        (b"GET /search?q=shoes&page=2", b"GET /search"),
        (b"GET /search?q=shoes", b"GET /search"),
        (b"get 4d3c2b1a-0000-4000-8000-0123456789ab", b"get {id}"),
        (b"SELECT shop", b"SELECT shop"),
        (b"worker 3 run", b"worker 3 run"),
        (b"", b""),
        (b"\xff 1", b"\xff 1"),
    ],
)
def test_data_is_taken_out_of_a_name_and_words_stay(name, expected):
    assert operation(name) == expected


def test_names_that_differ_in_ids_only_are_one_operation():
    assert len({operation(b"GET /cart/%d/item/%x" % (k, k * 7919)) for k in range(500)}) == 1


def test_a_name_is_cut():
    assert len(operation(b"x" * 5000)) == LONGEST


@pytest.mark.parametrize(
    "name", [b"10.0.0.7", b"10.0.0.7:8080", b"::1", b"fe80::1", b"[fe80::1]:80", b"localhost", b""]
)
def test_a_bare_address_names_no_service(name):
    assert peer(name) == ""


@pytest.mark.parametrize(
    ("name", "service"),
    [
        (b"db1", "db1"), (b"cafe", "cafe"), (b"feed2", "feed2"), (b"redis.cache.svc", "redis"),
        (b"api.stripe.com.", "api.stripe.com"),
        (b"orders.shop.svc.cluster.local", "orders"),
    ],
)  # fmt: skip
def test_a_name_that_looks_like_a_number_is_still_a_name(name, service):
    assert peer(name) == service
