"""Taken ports are told with the setting that moves them."""

import socket

import pytest
from todo_stack.errors import StackError
from todo_stack.ports import free_port, require_free


def test_a_free_port_is_accepted() -> None:
    require_free(free_port(), "GATEWAY_PORT")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_taken_port_names_its_setting(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as taken:
        try:
            taken.bind((address, 0))
        except OSError:
            pytest.skip(f"this machine has no {address}")
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=f"Port {port} is taken: set WEB_PORT to another one."):
            require_free(port, "WEB_PORT")
