"""The statistics of batch normalisation, estimated anew over the training data; nothing is trained.

A cut moves what comes into every later layer, while batch normalisation goes on to use the means and deviations of the
network before it. That is most of the harm of an untuned cut, and needs neither labels nor training to be mended. It is
for pruned networks alone: a dense one was trained with the statistics that it has, and loses by new ones.

What is stored are the mean and the unbiased variance over all training samples together, of a network that normalises
each batch by itself, as in training (`prune_audit.nets.recalibrate`). A network without batch normalisation is left as
it is, byte for byte. The same is done by `prune --recalibrate`, and as a control beside every other mitigation.
"""

from __future__ import annotations

from prune_audit.mitigations import Asked, Mended, Subject
from prune_audit.nets import recalibrate

CONTROL = MENDS = "recalibrated"


def mend(subject: Subject, asked: Asked) -> Mended:
    """Estimate them anew; unchanged without any."""
    subject.opened.require("run")
    assert subject.training is not None  # of what runs in torch
    layers = recalibrate.recalibrate(subject.opened.module, subject.training, seed=asked.seed)
    if not layers:
        return Mended(said=("there is no batch normalisation, so the network is as it was",), changed=False)
    return Mended(said=(f"the statistics of {len(layers)} layers of batch normalisation are new",), changed=True)
