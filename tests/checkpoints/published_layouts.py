"""Conv-TasNets as torchaudio and kaituoxu publish them, written here from the paper and the published names of their parts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.networks.convtasnet.spec import ConvTasNetSpec
from pipeline.networks.convtasnet_music.spec import ConvTasNetMusicSpec


class TorchaudioBlock(nn.Module):
    def __init__(self, net: ConvTasNetSpec, dilation: int, last: bool) -> None:
        super().__init__()
        hidden, kernel = net.hid_chan, net.conv_kernel_size
        self.conv_layers = nn.Sequential(
            nn.Conv1d(net.bn_chan, hidden, 1),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, 1e-8),
            nn.Conv1d(hidden, hidden, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=hidden),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, 1e-8),
        )
        self.res_out = None if last else nn.Conv1d(hidden, net.bn_chan, 1)
        self.skip_out = nn.Conv1d(hidden, net.bn_chan, 1)


class TorchaudioConvTasNet(nn.Module):
    """[B, 1, T] to [B, S, T]: half a window of zeros is set before and behind the waveform, and what they become is cut off again."""

    def __init__(self, net: ConvTasNetSpec, n_src: int) -> None:
        super().__init__()
        half = net.kernel_size // 2
        self.encoder = nn.Conv1d(1, net.n_filters, net.kernel_size, half, half, bias=False)
        generator = nn.Module()
        generator.input_norm = nn.GroupNorm(1, net.n_filters, 1e-8)
        generator.input_conv = nn.Conv1d(net.n_filters, net.bn_chan, 1)
        count = net.n_blocks * net.n_repeats
        generator.conv_layers = nn.ModuleList(
            TorchaudioBlock(net, 2 ** (index % net.n_blocks), index == count - 1) for index in range(count)
        )
        generator.output_prelu = nn.PReLU()
        generator.output_conv = nn.Conv1d(net.bn_chan, net.n_filters * n_src, 1)
        self.mask_generator = generator
        self.decoder = nn.ConvTranspose1d(net.n_filters, 1, net.kernel_size, half, half, bias=False)
        self.n_src, self.mask_act = n_src, {"relu": torch.relu, "sigmoid": torch.sigmoid}[net.mask_act]

    def forward(self, mixture: Tensor) -> Tensor:
        features = self.encoder(mixture)
        x, total = self.mask_generator.input_conv(self.mask_generator.input_norm(features)), torch.zeros(())
        for block in self.mask_generator.conv_layers:
            inner = block.conv_layers(x)
            total = total + block.skip_out(inner)
            x = x if block.res_out is None else x + block.res_out(inner)
        masks = self.mask_act(self.mask_generator.output_conv(self.mask_generator.output_prelu(total)))
        masked = masks.unflatten(1, (self.n_src, -1)) * features[:, None]
        return self.decoder(masked.flatten(0, 1)).unflatten(0, (-1, self.n_src)).squeeze(2)


class KaituoxuNorm(nn.Module):
    """gLN over channels and frames, or cLN over the channels of each frame; its weights are [1, C, 1]."""

    def __init__(self, channels: int, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(1, channels, 1)), nn.Parameter(torch.zeros(1, channels, 1))
        self.axes = axes

    def forward(self, y: Tensor) -> Tensor:
        mean = y.mean(self.axes, keepdim=True)
        power = (y - mean).pow(2).mean(self.axes, keepdim=True)
        return self.gamma * (y - mean) / (power + 1e-8).sqrt() + self.beta


class KaituoxuSeparable(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.net(x)
        return result


class KaituoxuBlock(nn.Module):
    def __init__(self, net: ConvTasNetMusicSpec, dilation: int) -> None:
        super().__init__()
        hidden, pad = net.hid_chan, dilation * (net.conv_kernel_size - 1) // 2
        separable = KaituoxuSeparable(
            nn.Conv1d(hidden, hidden, net.conv_kernel_size, padding=pad, dilation=dilation, groups=hidden, bias=False),
            nn.PReLU(),
            KaituoxuNorm(hidden, (1, 2)),
            nn.Conv1d(hidden, net.bn_chan, 1, bias=False),
        )
        self.net = nn.Sequential(nn.Conv1d(net.bn_chan, hidden, 1, bias=False), nn.PReLU(), KaituoxuNorm(hidden, (1, 2)), separable)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.net(x)
        return result


class KaituoxuConvTasNet(nn.Module):
    """[B, T] to [B, S, T]; T is kernel_size and a multiple of half of it."""

    def __init__(self, net: ConvTasNetMusicSpec, n_src: int) -> None:
        super().__init__()
        self.size, self.n_src = net.kernel_size, n_src
        repeats = (nn.Sequential(*(KaituoxuBlock(net, 2**index) for index in range(net.n_blocks))) for _ in range(net.n_repeats))
        self.encoder, self.separator, self.decoder = nn.Module(), nn.Module(), nn.Module()
        self.encoder.conv1d_U = nn.Conv1d(1, net.n_filters, self.size, self.size // 2, bias=False)
        self.separator.network = nn.Sequential(
            KaituoxuNorm(net.n_filters, (1,)),
            nn.Conv1d(net.n_filters, net.bn_chan, 1, bias=False),
            nn.Sequential(*repeats),
            nn.Conv1d(net.bn_chan, n_src * net.n_filters, 1, bias=False),
        )
        self.decoder.basis_signals = nn.Linear(net.n_filters, self.size, bias=False)

    def forward(self, mixture: Tensor) -> Tensor:
        features = torch.relu(self.encoder.conv1d_U(mixture[:, None]))
        masks = torch.relu(self.separator.network(features)).unflatten(1, (self.n_src, -1))
        frames = self.decoder.basis_signals((masks * features[:, None]).transpose(2, 3)).flatten(0, 1)  # [B S, F, K]
        length = (frames.shape[1] + 1) * self.size // 2
        summed = functional.fold(frames.transpose(1, 2), (1, length), (1, self.size), stride=(1, self.size // 2))
        return summed.view(-1, self.n_src, length)

    def package(self, net: ConvTasNetMusicSpec, **changes: object) -> dict[str, object]:
        """What that implementation's training saves."""
        settings = {"N": net.n_filters, "L": net.kernel_size, "B": net.bn_chan, "H": net.hid_chan, "P": net.conv_kernel_size}
        settings |= {"X": net.n_blocks, "R": net.n_repeats, "C": self.n_src}
        modes = {"norm_type": "gLN", "causal": 0, "mask_nonlinear": "relu"}
        state = self.state_dict()
        optimizer = {"state": {0: {"step": 3, "exp_avg": torch.zeros(5)}}, "param_groups": [{"lr": 1e-3}]}
        return {**settings, **modes, "state_dict": state, "optim_dict": optimizer, "epoch": 12, "tr_loss": torch.zeros(12), **changes}
