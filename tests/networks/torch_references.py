"""The networks once more, written channels-first out of torch's own layers, under the names of their published implementations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.convtasnet_music.spec import ConvTasNetMusicSpec
from pipeline.networks.dptnet.spec import DptNetSpec


class _Norm(nn.Module):
    """gLN over channels and time, or over the channels of each frame."""

    def __init__(self, channels: int, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(1, channels, 1)), nn.Parameter(torch.zeros(1, channels, 1))
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, self.axes, correction=0, keepdim=True)
        return self.gamma * (x - mean) / torch.sqrt(variance + 1e-8) + self.beta


class _Block(nn.Module):
    def __init__(self, net: ConvTasNetMusicSpec, dilation: int) -> None:
        super().__init__()
        hidden, taps = net.hid_chan, net.conv_kernel_size
        pad = dilation * (taps // 2)
        depthwise = nn.Module()
        depthwise.net = nn.Sequential(
            nn.Conv1d(hidden, hidden, taps, padding=pad, dilation=dilation, groups=hidden, bias=False),
            nn.PReLU(),
            _Norm(hidden, (1, 2)),
            nn.Conv1d(hidden, net.bn_chan, 1, bias=False),
        )
        self.net = nn.ModuleList([nn.Conv1d(net.bn_chan, hidden, 1, bias=False), nn.PReLU(), _Norm(hidden, (1, 2)), depthwise])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net[3].net(self.net[2](self.net[1](self.net[0](x))))


class ConvTasNetMusicReference(nn.Module):
    """Version 2 of Demucs: [B, A, T] to [B, S, A, T]."""

    def __init__(self, net: ConvTasNetMusicSpec, n_src: int) -> None:
        super().__init__()
        self.net, self.n_src = net, n_src
        repeats = [nn.Sequential(*(_Block(net, 2**index) for index in range(net.n_blocks))) for _ in range(net.n_repeats)]
        self.encoder = nn.ModuleDict({"conv1d_U": nn.Conv1d(net.audio_channels, net.n_filters, net.kernel_size, net.stride, bias=False)})
        network = nn.Sequential(
            _Norm(net.n_filters, (1,)),
            nn.Conv1d(net.n_filters, net.bn_chan, 1, bias=False),
            nn.Sequential(*repeats),
            nn.Conv1d(net.bn_chan, n_src * net.n_filters, 1, bias=False),
        )
        self.separator = nn.ModuleDict({"network": network})
        self.decoder = nn.ModuleDict({"basis_signals": nn.Linear(net.n_filters, net.audio_channels * net.kernel_size, bias=False)})

    def forward(self, mixture: Tensor) -> Tensor:
        features = F.relu(self.encoder["conv1d_U"](mixture))
        masks = F.relu(self.separator["network"](features)).unflatten(1, (self.n_src, -1))
        frames = self.decoder["basis_signals"]((masks * features[:, None]).transpose(2, 3))  # [B, S, F, A * K]
        kernel, stride = (1, self.net.kernel_size), (1, self.net.stride)
        folded = F.fold(frames.flatten(0, 1).transpose(1, 2), (1, mixture.shape[-1]), kernel, stride=stride)  # [B * S, A, 1, T]
        return folded[:, :, 0].unflatten(0, (-1, self.n_src))


class _Transformer(nn.Module):
    def __init__(self, net: DptNetSpec) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(net.bn_chan, net.n_heads)
        self.lstm = nn.LSTM(net.bn_chan, net.hid_chan, bidirectional=True)
        self.linear = nn.Linear(2 * net.hid_chan, net.bn_chan)
        self.norm1, self.norm2 = nn.LayerNorm(net.bn_chan), nn.LayerNorm(net.bn_chan)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        x = self.norm1(x + self.self_attn(x, x, x)[0])
        x = self.norm2(x + self.linear(F.relu(self.lstm(x)[0])))
        return x.transpose(0, 1)


class DptNetReference(nn.Module):
    """DPTNet as its authors have it: [B, T] to [B, S, T]."""

    def __init__(self, net: DptNetSpec, n_src: int) -> None:
        super().__init__()
        self.net, self.n_src, channels = net, n_src, net.bn_chan
        self.encoder = nn.ModuleDict({"conv1d_U": nn.Conv1d(1, net.n_filters, net.kernel_size, net.stride, bias=False)})
        self.enc_LN = nn.GroupNorm(1, net.n_filters, eps=1e-8)
        self.separator, dual_path = nn.Module(), nn.Module()
        self.separator.BN = nn.Conv1d(net.n_filters, channels, 1, bias=False)
        for name in ("row_transformer", "col_transformer"):
            layers = nn.ModuleList(nn.ModuleDict({"transformer": _Transformer(net)}) for _ in range(net.n_repeats))
            setattr(dual_path, name, layers)
        dual_path.output = nn.Sequential(nn.PReLU(), nn.Conv2d(channels, n_src * channels, 1))
        self.separator.DPT = dual_path
        self.separator.output = nn.Sequential(nn.Conv1d(channels, channels, 1), nn.Tanh())
        self.separator.output_gate = nn.Sequential(nn.Conv1d(channels, channels, 1), nn.Sigmoid())
        self.mask_conv1x1 = nn.Sequential(nn.Conv1d(channels, net.n_filters, 1, bias=False), nn.ReLU())
        self.decoder = nn.ModuleDict({"basis_signals": nn.Linear(net.n_filters, net.kernel_size, bias=False)})

    def forward(self, mixture: Tensor) -> Tensor:
        net, separator = self.net, self.separator
        features = F.relu(self.encoder["conv1d_U"](mixture[:, None]))
        x = separator.BN(self.enc_LN(features))
        (batch, channels, frames), size, hop = x.shape, net.chunk_size, net.chunk_size // 2
        rest = size - (hop + frames % size) % size
        padded = F.pad(x, (hop, rest + hop))
        count = 2 * ((frames + rest + hop) // size)
        chunks = F.unfold(padded[..., None], (size, 1), stride=(hop, 1)).view(batch, channels, size, count)
        for row, col in zip(separator.DPT.row_transformer, separator.DPT.col_transformer, strict=True):
            inner = row["transformer"](chunks.permute(0, 3, 2, 1).reshape(batch * count, size, channels))
            chunks = inner.view(batch, count, size, channels).permute(0, 3, 2, 1)
            outer = col["transformer"](chunks.permute(0, 2, 3, 1).reshape(batch * size, count, channels))
            chunks = outer.view(batch, size, count, channels).permute(0, 3, 1, 2)
        columns = separator.DPT.output(chunks).reshape(batch * self.n_src, channels * size, count)
        merged = F.fold(columns, (padded.shape[-1], 1), (size, 1), stride=(hop, 1))[..., 0][..., hop : hop + frames]
        masks = self.mask_conv1x1(separator.output(merged) * separator.output_gate(merged)).view(batch, self.n_src, -1, frames)
        samples = self.decoder["basis_signals"]((masks * features[:, None]).transpose(2, 3)).flatten(0, 1).transpose(1, 2)
        folded = F.fold(samples, (1, mixture.shape[-1]), (1, net.kernel_size), stride=(1, net.stride))
        return folded.view(batch, self.n_src, -1)
