"""Every error crosses a process with one message, and has a status that gRPC knows."""

import pickle

import grpc
import pytest

import recal.errors
import services.errors
from services.errors import ServiceError

HOMES = (services.errors, recal.errors)
ERRORS = [
    error
    for home in HOMES
    for error in vars(home).values()
    if isinstance(error, type)
    and issubclass(error, ServiceError)
    and error.__module__ == home.__name__
]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_rebuilt_from_its_one_message(error: type[ServiceError]) -> None:
    rebuilt = pickle.loads(pickle.dumps(error("no threshold for language `yo`")))
    assert type(rebuilt) is error
    assert str(rebuilt) == "no threshold for language `yo`"
    assert rebuilt.args == ("no threshold for language `yo`",)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_keeps_its_status_on_the_class(error: type[ServiceError]) -> None:
    assert grpc.StatusCode[error.status]
    assert not vars(error("a message"))
    assert "__init__" not in vars(error)


@pytest.mark.parametrize("home", HOMES)
def test_the_map_on_top_of_the_file_shows_every_error(home) -> None:
    names = [error.__name__ for error in ERRORS if error.__module__ == home.__name__]
    assert [name for name in names if name not in (home.__doc__ or "")] == []


def test_errors_are_defined_nowhere_else() -> None:
    ours = [
        error
        for base in ERRORS
        for error in base.__subclasses__()
        if error.__module__.split(".")[0] in ("services", "recal")
    ]
    assert {error for error in ours if error not in ERRORS} == set()
