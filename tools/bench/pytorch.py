"""PyTorch eager on the same networks. Runs in any interpreter that has torch: nothing else of ours is imported."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from tools.bench.eager import EagerNetwork
from tools.bench.networks import ARCHITECTURES, SIDE_PX
from tools.bench.trials import looped

if TYPE_CHECKING:
    from tools.bench.worker_process import Contestants, Facts


def contestants(_facts: Facts) -> Contestants:
    """``eager``."""

    @cache
    def network(_name: str) -> EagerNetwork:
        return EagerNetwork()

    def eager(network_name: str, torch_threads: int, seconds: float) -> Any:
        picture = torch.randn(1, 3, SIDE_PX, SIDE_PX)
        architecture = ARCHITECTURES[network_name]

        def run() -> None:
            torch.set_num_threads(torch_threads)  # a property of the thread that asks
            net = network(network_name)
            net.begin()
            with torch.inference_mode():
                architecture(net, picture)

        return looped(run, 1, seconds)

    return {"eager": eager}
