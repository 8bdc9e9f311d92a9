"""Memory: what a frame's mask leaves behind, and how later frames read it."""

import torch
from torch import Tensor, nn

from samotion.export.networks.sam2.layers import Attention, LayerNorm2d, spread
from samotion.export.networks.sam2.positions import rotary_table, rotate
from samotion.export.networks.sam2.sam2_params import Sam2Params

Table = tuple[Tensor, Tensor]


class MaskDownSampler(nn.Module):
    """Halve a mask until it has the feature grid's size, four times the channels each time."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential()
        channels = 1
        # The mask has 4·scale cells for each cell of the features.
        for _ in range((4 * scale).bit_length() - 1):
            self.encoder.append(nn.Conv2d(channels, 4 * channels, 3, stride=2, padding=1))
            channels *= 4
            self.encoder.append(LayerNorm2d(channels))
            self.encoder.append(nn.GELU())
        self.encoder.append(nn.Conv2d(channels, width, 1))

    def forward(self, mask: Tensor) -> Tensor:
        """Map (K, 1, 4·scale·h, 4·scale·w) to (K, width, h, w)."""
        out: Tensor = self.encoder(mask)
        return out


class FuserBlock(nn.Module):
    """A ConvNeXt block."""

    def __init__(self, width: int, layer_scale: float) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = LayerNorm2d(width)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        """Return (K, width, h, w)."""
        y = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(y)))
        out: Tensor = x + y.permute(0, 3, 1, 2)
        return out


class Fuser(nn.Module):
    """Two blocks over the sum of image and mask."""

    def __init__(self, width: int, layer_scale: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(FuserBlock(width, layer_scale) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (K, width, h, w)."""
        out: Tensor = self.layers(x)
        return out


class MemoryEncoder(nn.Module):
    """Image features and mask to spatial memory."""

    def __init__(self, params: Sam2Params) -> None:
        super().__init__()
        width = params.width
        self.mask_downsampler = MaskDownSampler(width, params.mask_scale)
        self.pix_feat_proj = nn.Conv2d(width, width, 1)
        self.fuser = Fuser(width, params.layer_scale)
        self.out_proj = nn.Conv2d(width, params.memory_width, 1)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map features (F, C, h, w), F being K or 1, and mask (K, 1, …) to (K, memory_width, h, w)."""
        shrunk = self.mask_downsampler(mask)
        out: Tensor = self.out_proj(self.fuser(spread(self.pix_feat_proj(features), shrunk) + shrunk))
        return out


class RotaryAttention(Attention):
    """Attention with rotary positions; further keys without a place may follow the placed ones."""

    def among(self, x: Tensor, table: Table) -> Tensor:
        """Attend within x (B, h·w, width)."""
        q, k = rotate(self.split(self.q_proj(x)), *table), rotate(self.split(self.k_proj(x)), *table)
        return self.attend(q, k, self.split(self.v_proj(x)))

    def to_memory(self, x: Tensor, memory: "Memory", table: Table) -> Tensor:
        """Attend from x (K, h·w, width) to the memory."""
        q = rotate(self.split(self.q_proj(x)), *table)
        slots, cells = memory.maps.shape[1:3]
        # (K, M, h·w, inner) → (K, heads, M·h·w, D), every slot turned by the same table
        k = torch.unflatten(self.k_proj(memory.placed_maps), -1, (self.heads, -1)).permute(0, 3, 1, 2, 4)
        k = rotate(k, *table).reshape(k.shape[0], self.heads, slots * cells, k.shape[-1])
        k = torch.cat([k, self.split(self.k_proj(memory.placed_pointers))], 2)
        v = self.v_proj(torch.cat([memory.maps.flatten(1, 2), memory.pointers], 1))
        return self.attend(q, k, self.split(v), memory.bias)


class Memory:
    """What one frame attends to.

    maps, placed_maps: (K, M, h·w, m), spatial memories without and with their positions in space and time.
    pointers, placed_pointers: (K, L, m), the object pointers' tokens. bias: (K, 1, 1, M·h·w + L), HIDDEN for
    empty slots.
    """

    def __init__(
        self, maps: Tensor, placed_maps: Tensor, pointers: Tensor, placed_pointers: Tensor, bias: Tensor
    ) -> None:
        self.maps, self.placed_maps = maps, placed_maps
        self.pointers, self.placed_pointers = pointers, placed_pointers
        self.bias = bias


class MemoryAttentionLayer(nn.Module):
    """Attend within the frame, then to memory, then an MLP."""

    def __init__(self, params: Sam2Params) -> None:
        super().__init__()
        width = params.width
        self.self_attn = RotaryAttention(width, 1, width)
        self.cross_attn_image = RotaryAttention(width, 1, width, params.memory_width)
        self.linear1 = nn.Linear(width, params.attention_feedforward)
        self.linear2 = nn.Linear(params.attention_feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Memory, table: Table) -> Tensor:
        """Return (K, h·w, width); x (F, h·w, width), F being K or 1."""
        x = spread(x + self.self_attn.among(self.norm1(x), table), memory.maps)
        x = x + self.cross_attn_image.to_memory(self.norm2(x), memory, table)
        out: Tensor = x + self.linear2(torch.relu(self.linear1(self.norm3(x))))
        return out


class MemoryAttention(nn.Module):
    """Layers of memory attention."""

    def __init__(self, params: Sam2Params) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(params) for _ in range(params.attention_layers))
        self.norm = nn.LayerNorm(params.width)

    def forward(self, features: Tensor, places: Tensor, memory: Memory) -> Tensor:
        """Map features (F, C, h, w) to (K, C, h, w); places: sine positions (h·w, C) of the grid."""
        height, width = features.shape[2:]
        # Features enter with a tenth of their positions, as trained.
        x = features.flatten(2).transpose(1, 2) + 0.1 * places
        table = rotary_table(height, width, features.shape[1], features)
        for layer in self.layers:
            x = layer(x, memory, table)
        return torch.unflatten(self.norm(x).transpose(1, 2), 2, (height, width))
