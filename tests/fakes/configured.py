"""Pods, images and endpoints as if they had been configured."""

from __future__ import annotations

from typing import Any

from vmdirac.model.pod import BootSource, Endpoint, Image, RunningPod
from vmdirac.model.requirements import Offer


def an_endpoint(name: str = "alpha", **fields: Any) -> Endpoint:
    default = {"driver": "local", "site": f"site-{name}", "max_instances": 100}
    return Endpoint(name, **{**default, **fields})


def an_image(name: str = "worker", flavor: str = "small", **fields: Any) -> Image:
    default = {"context_method": "cloudinit", "default": BootSource("linux", flavor)}
    return Image(name, **{**default, **fields})


def a_pod(name: str = "pod", endpoints: tuple[str, ...] = ("alpha",), **fields: Any) -> RunningPod:
    default = {
        "image": "worker",
        "endpoints": tuple((endpoint, 1.0) for endpoint in endpoints),
        "max_instances": 100,
        "offer": Offer(cpu_time=100_000),
    }
    return RunningPod(name, **{**default, **fields})
