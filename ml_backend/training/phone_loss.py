"""The loss of phone logits: of the phones themselves, and of the shapes of lips that they make."""

import torch
from torch import Tensor, nn

from ..phonetics.phones import LIP_CLASSES, PHONE_INDEX, PHONES

_CLASS_WEIGHTS = (2.0, 2.5, 3.0, 1.0, 1.5, 1.5, 0.5, 0.7)
"""By LIP_CLASSES, then all the rest: the rare and the visible count for more."""


class PhoneLoss(nn.Module):
    """Cross-entropy of the phones, and of the classes of lip shapes.

    A class is as likely as its phones together, so that W taken for oo costs less than for b.
    """

    def __init__(self):
        super().__init__()
        classes = torch.full((len(PHONES),), len(LIP_CLASSES))
        for index, members in enumerate(LIP_CLASSES):
            classes[[PHONE_INDEX[p] for p in members]] = index
        self.classes: Tensor
        self.class_weights: Tensor
        self.register_buffer("classes", classes)
        self.register_buffer("class_weights", torch.tensor(_CLASS_WEIGHTS))

    def forward(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Returns the losses "phone" and "lips" of logits (B, S, 40) against labels (B, S), -100 unknown."""
        phone = nn.functional.cross_entropy(logits.transpose(1, 2), labels, label_smoothing=0.05)
        members = nn.functional.one_hot(self.classes, len(LIP_CLASSES) + 1).to(logits.dtype)  # (40, classes)
        likely = (logits.softmax(2) @ members).clamp(min=1e-4).log()
        targets = torch.where(labels >= 0, self.classes[labels.clamp(min=0)], -100)
        lips = nn.functional.nll_loss(likely.transpose(1, 2), targets, self.class_weights)
        return {"phone": phone, "lips": lips}
