"""A bare training loop in the manner of nanoGPT: what benchmarks/train.py compares with.

A model, a batch and a step as a person would write them: one file of ids, a memory map opened for
each batch, random offsets, SDPA, all logits at once, AdamW.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY = 50_257


class PlainBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = self.qkv(self.ln_1(x)).split(C, dim=2)
        q, k, v = (t.view(B, T, self.heads, -1).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class PlainGPT(nn.Module):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        self.wte = nn.Embedding(VOCABULARY, options.width)
        self.wpe = nn.Embedding(options.length, options.width)
        self.blocks = nn.ModuleList(
            PlainBlock(options.width, options.heads) for _ in range(options.layers)
        )
        self.ln_f = nn.LayerNorm(options.width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)
        return F.cross_entropy(logits.view(-1, VOCABULARY), targets.reshape(-1))


class PlainLoop:
    """nanoGPT's loop without its printing."""

    def __init__(self, options: argparse.Namespace, tokens: Path, device: torch.device) -> None:
        torch.manual_seed(1)
        self.options, self.tokens, self.device = options, tokens, device
        self.model: Any = PlainGPT(options).to(device)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in self.model.parameters() if p.dim() > 1]},
                {"params": [p for p in self.model.parameters() if p.dim() < 2], "weight_decay": 0},
            ],
            lr=6e-4,
            betas=(0.9, 0.95),
            weight_decay=0.1,
            fused=device.type == "cuda",
        )
        if options.compile:
            self.model = torch.compile(self.model)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        length = self.options.length
        data = np.memmap(self.tokens, dtype=np.uint16, mode="r")
        starts = torch.randint(len(data) - length, (count,)).tolist()
        x = torch.stack([torch.from_numpy(data[i : i + length].astype(np.int64)) for i in starts])
        y = torch.stack(
            [torch.from_numpy(data[i + 1 : i + 1 + length].astype(np.int64)) for i in starts]
        )
        if self.device.type == "cuda":
            return (
                x.pin_memory().to(self.device, non_blocking=True),
                y.pin_memory().to(self.device, non_blocking=True),
            )
        return x, y

    def steps(self, count: int) -> None:
        micro, whole = self.options.micro_batch, self.options.batch
        for _ in range(count):
            for _ in range(max(1, whole // micro)):
                x, y = self.batch(min(micro, whole))
                with torch.autocast(
                    self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"
                ):
                    loss = self.model(x, y) / max(1, whole // micro)
                loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        loss.item()
