#!/usr/bin/env python3
"""Trains the spoken-word recogniser of this folder from nothing and writes the files beside this script.

The speech is made by espeak-ng (Debian package `espeak-ng`): ten words, and many other words for the class
"unknown", in several hundred synthetic voices. A voice is an accent (an English one, or a foreign language
that reads a respelled word) with one of espeak-ng's variants (formants, pitch, breath, ...). Some variants,
accents and other words are kept out of training; the accuracy is measured on those.

Needs the Python packages torch, torch_to_nnef and, for the last check, tract. Takes about a quarter of an
hour on one core.
"""

import argparse
import gzip
import io
import logging
import random
import re
import subprocess
import tarfile
import tempfile
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
RATE = 16000  # samples per second, and the length of a clip: one second
WORDS = ["yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
LABELS = WORDS + ["unknown"]
UNKNOWN = len(WORDS)
SHIPPED = ["yes", "stop", "left"]  # the example inputs

# ----------------------------------------------------------------------------------------------------- voices

ENGLISH = ["en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc"]
ENGLISH_HELD_OUT = ["en-gb-scotland"]

# How a foreign reader would have to spell the ten words, in the order of WORDS.
FOREIGN = {
    "de": "jess noh app daun lefft reit onn off stopp goh",
    "es": "yes nou ap daun left rait on of stop gou",
    "it": "ies no ap daun left rait on of stop gou",
    "pl": "jes noł ap dałn left rajt on of stop goł",
    "hu": "jesz nó ap daun left rájt on of sztop gó",
}
FOREIGN_HELD_OUT = {"fi": "jes nou ap daun left rait on of stop gou"}

VARIANTS = """m1 m3 m4 m5 m7 m8 f1 f2 f3 f5 Alex Alicia Andy Annie AnxiousAndy Demonic Diogo Hugo
Jacky Lee Marco Michael Mike Nguyen RicishayMax RicishayMax2 RicishayMax3 Storm Tweaky UniRobot adam
anika anikaRobot announcer antonio benjamin boris caleb croak david ed edward edward2 fast grandma
gustave john kaukovalta klatt klatt2 klatt3 klatt5 klatt6 marcelo michel miguel paul pedro quincy
rob robert robosoft robosoft2 robosoft3 robosoft4 robosoft5 robosoft6 robosoft7 robosoft8 sandro
victor whisper zac""".split()
# Families of near-identical variants (Gene and Gene2, four iven, three steph) are held out as a whole.
VARIANTS_HELD_OUT = """m2 m6 f4 Andrea Denis Gene Gene2 Henrique Mario aunty belinda grandpa iven
iven2 iven3 iven4 linda max norbert pablo shelby steph steph2 steph3 travis""".split()

OTHER_WORDS = """bed bird cat dog happy house marvin sheila tree wow zero one two three four five
six seven eight nine ten forward backward follow learn visual cup top tap dawn done gown town lift
loft light ride night wrong row low show snow note nose goat goal ghost own ton often office coffee
cough offer step stock shop stuff yet yell guess less yellow hello under open close begin stand
apple orange summer winter garden people letter number family question answer money story father
mother sister brother school student book chair door hand head foot green blue red black white fast
slow big small good bad play pause start next back menu volume call message please thank sorry
sunday monday rabbit tiger elephant banana potato hospital telephone camera north south east west
run jump sit walk ship sheep fish nest bus love rain cloud sleep dream nod rod god dot cot hot lot
lad led left-handed loud out ounce doubt dull dumb pup rub ugly""".split()
OTHER_WORDS_HELD_OUT = """window music table water paper morning river computer kitchen doctor
purple mountain lamp bread milk rope lock fight boat stamp rest gold basket seventeen holiday
university""".split()


@dataclass
class Split:
    """The utterances of a split: `audio` int16 [n, RATE], zero after `length`; class; index into `voices`."""

    audio: torch.Tensor
    length: torch.Tensor
    label: torch.Tensor
    voice: torch.Tensor
    voices: list


def utterances(name):
    """All (voice, text, class) of a split, in a fixed order."""
    if name == "train":
        accents, foreign, variants, others, per_voice = ENGLISH, FOREIGN, VARIANTS, OTHER_WORDS, 10
    else:
        accents, foreign = ENGLISH + ENGLISH_HELD_OUT, FOREIGN | FOREIGN_HELD_OUT
        variants, others, per_voice = VARIANTS_HELD_OUT, OTHER_WORDS_HELD_OUT, 4
    spellings = {accent: WORDS for accent in accents}
    spellings.update((accent, text.split()) for accent, text in foreign.items())
    for accent, words in spellings.items():
        for variant in variants:
            voice = f"{accent}+{variant}"
            yield from ((voice, text, label) for label, text in enumerate(words))
            for text in random.Random(voice).sample(others, per_voice):
                yield voice, text, UNKNOWN


def speak(voice, text):
    """One utterance as int16 at RATE, silence cut off. Its speed and pitch depend on voice and text only."""
    chance = random.Random(f"{voice} {text}")
    speed, pitch = chance.randint(110, 220), chance.randint(15, 85)
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-z", "--stdout", text]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    source_rate = int.from_bytes(data[24:28], "little")
    data = data[44 : len(data) // 2 * 2]  # the header of a stream knows no length
    sound = np.frombuffer(data, "<i2").astype(np.float64)
    loud = np.flatnonzero(np.abs(sound) > 0.01 * np.abs(sound).max())
    if not len(loud):
        raise RuntimeError(f"espeak-ng said nothing: voice {voice}, text {text}")
    sound = sound[loud[0] : loud[-1] + 1]
    # resampling: the spectrum is cut; the padding makes both lengths whole, and keeps the ends apart
    whole = source_rate // np.gcd(source_rate, RATE)
    padded = np.pad(sound, (0, whole * (len(sound) // whole + 2) - len(sound)))
    target = len(padded) * RATE // source_rate
    resampled = np.fft.irfft(np.fft.rfft(padded)[: target // 2 + 1], target) * (target / len(padded))
    resampled = resampled[: min(len(sound) * RATE // source_rate, RATE)]
    return np.round(resampled * (30000 / np.abs(resampled).max())).astype(np.int16)


def load_split(name, cache):
    """Synthesises a split, or reads it from the cache folder."""
    path = cache / f"{name}.npz"
    items = list(utterances(name))
    voices = sorted({voice for voice, _, _ in items})
    if path.exists():
        stored = np.load(path)
        audio, length = stored["audio"], stored["length"]
    else:
        cache.mkdir(parents=True, exist_ok=True)
        audio, length = np.zeros((len(items), RATE), np.int16), np.zeros(len(items), np.int64)
        with ThreadPoolExecutor(2) as pool:
            for i, sound in enumerate(pool.map(speak, *zip(*[item[:2] for item in items]))):
                audio[i, : len(sound)], length[i] = sound, len(sound)
        np.savez(path, audio=audio, length=length)
    if len(audio) != len(items):
        raise SystemExit(f"{path} was made by another version of this script: delete it")
    number = {voice: i for i, voice in enumerate(voices)}
    return Split(
        torch.from_numpy(audio),
        torch.from_numpy(length),
        torch.tensor([label for _, _, label in items]),
        torch.tensor([number[voice] for voice, _, _ in items]),
        voices,
    )


# ------------------------------------------------------------------------------------------------- recordings


def uniform(generator, n, low, high):
    return torch.rand(n, 1, generator=generator) * (high - low) + low


def place(audio, length, rate, start):
    """Puts each utterance, played `rate` times as fast, at sample `start` of an otherwise silent second."""
    position = (torch.arange(RATE)[None] - start) * rate
    whole = position.floor()
    inside = (whole >= 0) & (whole < length[:, None] - 1)
    at = whole.long().clamp(0, RATE - 2)
    sound = audio.float() / 32768
    value = torch.lerp(sound.gather(1, at), sound.gather(1, at + 1), position - whole)
    return value * inside


def coloured_noise(n, generator):
    """Noise from white over pink to brown."""
    frequency = torch.arange(RATE // 2 + 1).clamp(min=20)[None].float()
    shape = frequency ** (-0.5 * uniform(generator, n, 0, 2))
    return torch.fft.irfft(torch.fft.rfft(torch.randn(n, RATE, generator=generator)) * shape, RATE)


def record(split, index, generator, hard):
    """Clips [n, RATE] as a microphone might have recorded them: shift, speed, room, tone, noise, level.

    `hard` is for training; without it (testing) speed is kept, nobody else talks, and the noise is lower.
    """
    n = len(index)
    length = split.length[index]
    rate = uniform(generator, n, 0.82, 1.22) if hard else torch.ones(n, 1)
    span = length[:, None] / rate
    start = -0.04 * span + torch.rand(n, 1, generator=generator) * (RATE - 0.92 * span).clamp(min=0)
    clean = place(split.audio[index], length, rate, start)

    # a room: exponentially decaying noise after the direct sound; 0.05 to 0.3 s
    decay = uniform(generator, n, 0.05, 0.3) * RATE
    t = torch.arange(RATE // 4)[None]
    echo = torch.randn(n, RATE // 4, generator=generator) * torch.exp(-6.9 * t / decay)
    strength = uniform(generator, n, 0.0, 0.6) * (torch.rand(n, 1, generator=generator) < 0.5)
    echo *= strength / echo.norm(dim=1, keepdim=True)
    echo[:, 0] = 1
    # a tone: up to 8 dB up or down over the band, and one broad bump or dip
    band = torch.linspace(0, 1, RATE + 1)[None]  # 0 to 8 kHz
    bump = uniform(generator, n, -8, 8) * torch.exp(-(((band - uniform(generator, n, 0, 1)) / 0.15) ** 2))
    tone = 10 ** ((uniform(generator, n, -8, 8) * (band - 0.5) + bump) / 20)
    spectrum = torch.fft.rfft(clean, 2 * RATE) * torch.fft.rfft(echo, 2 * RATE) * tone
    voice = torch.fft.irfft(spectrum, 2 * RATE)[:, :RATE]
    voice = voice / voice.abs().amax(1, keepdim=True).clamp(min=1e-6)

    noise = coloured_noise(n, generator)
    if hard:  # another talker, never louder than the noise as a whole
        other = split.audio[torch.randint(len(split.audio), (n,), generator=generator)].float()
        other = other.roll(int(torch.randint(RATE, (1,), generator=generator)), 1)
        other *= (torch.rand(n, 1, generator=generator) < 0.25) / other.norm(dim=1, keepdim=True)
        noise = noise / noise.norm(dim=1, keepdim=True) + other
    loudness = (voice.square().sum(1, keepdim=True) * rate / length[:, None]).sqrt()  # of the word itself
    below = uniform(generator, n, 2 if hard else 8, 40)  # dB
    noise *= loudness * 10 ** (-below / 20) * RATE**0.5 / noise.norm(dim=1, keepdim=True)
    clip = voice + noise
    level = 10 ** uniform(generator, n, -1.5, -0.05)
    return clip * level / clip.abs().amax(1, keepdim=True)


def only_noise(n, generator):
    """Clips without speech: hum and coloured noise from inaudible to loud."""
    noise = coloured_noise(n, generator)
    hum = torch.sin(2 * torch.pi * uniform(generator, n, 50, 2000) * torch.arange(RATE)[None] / RATE)
    clip = noise / noise.abs().amax(1, keepdim=True) + hum * (torch.rand(n, 1, generator=generator) < 0.3)
    return clip * 10 ** uniform(generator, n, -4.5, -0.3) / clip.abs().amax(1, keepdim=True)


# ---------------------------------------------------------------------------------------------------- network


class LogMel(nn.Module):
    """Samples [n, 16000] to a log-mel spectrogram [n, 1, 32, 124], by convolutions, products and a logarithm.

    A window of 16 ms every 8 ms; the DFT is a convolution with windowed cosines and sines, the mel bands are
    a convolution of width 1.
    """

    window, hop, bins, bands = 256, 128, 128, 32

    def __init__(self):
        super().__init__()
        self.cosine = nn.Conv1d(1, self.bins, self.window, self.hop, bias=False)
        self.sine = nn.Conv1d(1, self.bins, self.window, self.hop, bias=False)
        self.mel = nn.Conv1d(self.bins, self.bands, 1)
        t = torch.arange(self.window, dtype=torch.float64)
        k = torch.arange(self.bins, dtype=torch.float64)[:, None]
        hann = (torch.pi * (t + 0.5) / self.window).sin() ** 2 / 64  # a full-scale sine has power 1
        angle = 2 * torch.pi * k * t / self.window
        # 12 bits hold the tables to -76 dB, and compress to half the size
        grid = lambda x: (torch.round(x * 2**18) / 2**18).float()
        self.cosine.weight.data = grid(hann * angle.cos())[:, None]
        self.sine.weight.data = grid(hann * angle.sin())[:, None]
        self.mel.weight.data = self.triangles()[:, :, None]
        self.mel.bias.data.fill_(1e-6)  # for the logarithm: below -60 dB all is silence
        self.requires_grad_(False)
        self.register_buffer("mean", torch.zeros(1, self.bands, 1))
        self.register_buffer("scale", torch.ones(1, self.bands, 1))

    def triangles(self):
        """Overlapping triangles, equally spaced on the mel scale from 0 to 8000 Hz: [bands, bins]."""
        mel = lambda f: 2595 * torch.log10(1 + f / 700)
        place = mel(torch.arange(self.bins) * RATE / self.window)[None]
        centre = torch.linspace(0, float(mel(torch.tensor(RATE / 2))), self.bands + 2)
        width = centre[1]
        return (1 - (place - centre[1:-1, None]).abs() / width).clamp(min=0)

    def forward(self, samples):
        waveform = samples.unsqueeze(1)
        power = self.cosine(waveform).square() + self.sine(waveform).square()
        bands = torch.log(self.mel(power))
        return ((bands - self.mean) * self.scale).unsqueeze(1)

    @torch.no_grad()
    def adapt(self, clips):
        """Sets mean and scale so that these clips have mean 0 and deviation 1 in each band."""
        x = self(clips)[:, 0]
        self.mean += x.mean((0, 2))[None, :, None]
        self.scale /= x.std((0, 2))[None, :, None]


class Convolution(nn.Module):
    """Convolution, batch normalisation, ReLU. `fold` merges the first two."""

    def __init__(self, inputs, outputs, kernel, stride=(1, 1), groups=1):
        padding = tuple(k // 2 for k in kernel)
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)))

    def fold(self):
        self.conv = nn.utils.fusion.fuse_conv_bn_eval(self.conv, self.norm)
        self.norm = nn.Identity()


class Separable(nn.Module):
    """A filter per channel (3 bands x 5 frames), then a mix of the channels."""

    def __init__(self, inputs, outputs, stride=(1, 1)):
        super().__init__()
        self.depthwise = Convolution(inputs, inputs, (3, 5), stride, groups=inputs)
        self.pointwise = Convolution(inputs, outputs, (1, 1))

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class KeywordSpotter(nn.Module):
    """Samples [n, 16000] to probabilities [n, 11]."""

    def __init__(self):
        super().__init__()
        self.log_mel = LogMel()
        self.stem = Convolution(1, 32, (5, 5), (2, 2))  # [n, 32, 16, 62]
        self.block1 = Separable(32, 48, (2, 2))  # [n, 48, 8, 31]
        self.block2 = Separable(48, 64)
        self.block3 = Separable(64, 80, (2, 2))  # [n, 80, 4, 16]
        self.block4 = Separable(80, 96)
        self.block5 = Separable(96, 96)
        self.classifier = nn.Linear(96, len(LABELS))

    def scores(self, samples):
        stages = (self.log_mel, self.stem, self.block1, self.block2, self.block3, self.block4, self.block5)
        # no variable for the result of a stage: the exporter would take its name for the graph
        return self.classifier(reduce(lambda x, stage: stage(x), stages, samples).mean((2, 3)))

    def forward(self, samples):
        return torch.softmax(self.scores(samples), 1)

    def fold(self):
        """Merges batch normalisation into the convolutions; for evaluation only."""
        self.eval()
        for module in [m for m in self.modules() if isinstance(m, Convolution)]:
            module.fold()
        return self


# --------------------------------------------------------------------------------------- training and testing


def train(model, split, epochs, batch=96, unknown_share=0.28, noise_share=0.05):
    """One epoch is as many clips as the split has utterances; words are drawn equally often."""
    generator = torch.Generator().manual_seed(1)
    count = torch.bincount(split.label)
    of_word, of_other = (1 - unknown_share) / (len(WORDS) * count[0]), unknown_share / count[UNKNOWN]
    weight = torch.where(split.label == UNKNOWN, of_other, of_word)
    draw = lambda n: torch.multinomial(weight, n, replacement=True, generator=generator)
    model.log_mel.adapt(record(split, draw(512), generator, hard=True))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = len(split.label) // batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, epochs * steps, pct_start=0.2)
    noises = max(1, round(noise_share * batch))
    for epoch in range(epochs):
        model.train()
        total, began = 0.0, time.monotonic()
        for _ in range(steps):
            index = draw(batch - noises)
            clips = torch.cat([record(split, index, generator, hard=True), only_noise(noises, generator)])
            target = torch.cat([split.label[index], torch.full((noises,), UNKNOWN)])
            loss = F.cross_entropy(model.scores(clips), target, label_smoothing=0.02)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        took = time.monotonic() - began
        print(f"epoch {epoch + 1:2} of {epochs}: loss {total / steps:.3f}, {took:.0f} s", flush=True)


@torch.no_grad()
def predict(model, clips):
    return torch.cat([model(part) for part in clips.split(256)])


def held_out_clips(split, noisy):
    """The held-out utterances as clips: clean in the middle of the second, or with noise, room and shift."""
    generator = torch.Generator().manual_seed(2)
    parts = []
    for index in torch.arange(len(split.label)).split(256):
        if noisy:
            parts.append(record(split, index, generator, hard=False))
        else:
            length = split.length[index]
            start = ((RATE - length) // 2)[:, None]
            parts.append(0.5 * place(split.audio[index], length, torch.ones(len(index), 1), start))
    return torch.cat(parts)


def report(model, split):
    """Prints the accuracy on voices kept out of training; returns the noisy clips and their probabilities."""
    accent = [voice.split("+")[0] for voice in split.voices]
    fresh = torch.tensor([a in ENGLISH_HELD_OUT or a in FOREIGN_HELD_OUT for a in accent])[split.voice]
    english = torch.tensor([a.startswith("en") for a in accent])[split.voice]
    words = split.label != UNKNOWN
    everything = torch.ones(len(words), dtype=torch.bool)
    groups = {
        "all": everything,
        "ten words": words,
        "other words": ~words,
        "known English accents": english & ~fresh,
        "known foreign accents": ~english & ~fresh,
        "accents kept out of training": fresh,
    }
    print(f"{len(split.voices)} voices kept out of training, {len(split.label)} utterances; per cent correct")
    print(f"{'':32}{'clean':>8}{'noisy':>10}")
    results = []
    for noisy in (False, True):
        clips = held_out_clips(split, noisy)
        results.append((clips, predict(model, clips)))
    groups.update((f"  {name}", split.label == label) for label, name in enumerate(LABELS))
    right = [100.0 * (p.argmax(1) == split.label) for _, p in results]
    for name, mask in groups.items():
        print(f"{name:32}{right[0][mask].mean():8.2f}{right[1][mask].mean():10.2f}")
    silence = predict(model, only_noise(500, torch.Generator().manual_seed(3)))
    print(f"{'noise and silence':32}{'':8}{100 * (silence.argmax(1) == UNKNOWN).float().mean():10.2f}")
    return results[1]


# ------------------------------------------------------------------------------------------------------ files


def tidy(text):
    """The exporter's graph text with shorter names (`stem__conv___convolution0` becomes `stem_conv`).

    Its counters differ from run to run; here they count in the order of the text.
    """
    head, body = re.sub(r"\n{3,}", "\n\n", text).split("graph ", 1)
    renamed = {}
    for name in re.findall(r"^    (\w+) = ", body, re.MULTILINE):
        plain = re.sub(r"(___convolution|__linear)?\d+$|\d+(?=_mean_reduce$)", "", name)
        plain = short = plain.replace("_aligned_rank_expanded", "_expanded").replace("__", "_")
        number = 2
        while short in renamed.values():
            short, number = f"{plain}_{number}", number + 1
        renamed[name] = short
    body = re.sub(r"\w+", lambda word: renamed.get(word[0], word[0]), body)
    return f"{head}graph {body}"


def write_archive(model, path):
    """NNEF by torch_to_nnef, packed so that equal weights give equal bytes and nothing tells who wrote it."""
    from torch_to_nnef import TractNNEF, export_model_to_nnef

    class Target(TractNNEF):
        def specific_fragments(self, model):
            return {}  # versions, date, command line

    version = "0.23.8"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "tract"  # the exporter wants a tract program, but only asks for its version
        program.write_text(f'#!/bin/sh\necho "tract {version} "\n')
        program.chmod(0o755)
        target = Target(version, check_io=False, specific_tract_binary_path=program)
        export_model_to_nnef(
            model,
            (torch.zeros(1, RATE),),
            Path(folder) / "model.nnef",
            target,
            input_names=["samples"],
            output_names=["probabilities"],
            compression_level=None,
            log_level=logging.ERROR,
        )
        graph = Path(folder) / "model.nnef" / "graph.nnef"
        graph.write_text(tidy(graph.read_text()))
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for file in sorted(graph.parent.iterdir(), key=lambda f: (f != graph, f.name)):
                member = tarfile.TarInfo(file.name)
                member.size = file.stat().st_size
                archive.addfile(member, file.open("rb"))
    path.write_bytes(gzip.compress(tar.getvalue(), 9, mtime=0))


def write_clip(folder, word, clip):
    """WORD.wav (16 bit) and WORD.npy (float32 [1, RATE]) with the same samples; returns these as a tensor."""
    codes = np.round(clip.numpy() * 32767).astype("<i2")
    with wave.open(str(folder / f"{word}.wav"), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(RATE)
        file.writeframes(codes.tobytes())
    samples = (codes.astype(np.float32) / 32768)[None]
    np.save(folder / f"{word}.npy", samples)
    return torch.from_numpy(samples)


def write_examples(model, split, clips, folder):
    """One held-out English voice per shipped word, each another one, and what the network says to them."""
    expected = {}
    for word, voice in zip(SHIPPED, ["en-us+linda", "en-gb+m6", "en-gb-scotland+f4"]):
        mask = (split.label == LABELS.index(word)) & (split.voice == split.voices.index(voice))
        index = torch.nonzero(mask)[0, 0]
        with torch.no_grad():
            expected[word] = model(write_clip(folder, word, clips[index])).numpy()
        best = int(expected[word].argmax())
        print(f"{word}.npy, voice {voice}: {LABELS[best]} {expected[word][0, best]:.3f}")
    np.savez(folder / "expected.npz", **expected)


def check_with_tract(path, clips, expected):
    """Runs the archive in tract and compares with PyTorch's probabilities."""
    try:
        import tract
    except ImportError:
        return print("tract is not installed: archive not checked")
    runnable = tract.nnef().load(path).into_runnable()
    worst, same = 0.0, 0
    for clip, want in zip(clips, expected):
        got = runnable.run([clip[None].numpy()])[0].to_numpy()[0]
        worst = max(worst, float(np.abs(got - want.numpy()).max()))
        same += int(got.argmax() == int(want.argmax()))
    print(f"tract {tract.version()}: same answer on {same} of {len(clips)} clips, difference <= {worst:.1e}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    cache = Path.home() / ".cache" / "keyword_spotter"
    parser.add_argument("--out", type=Path, default=HERE, help="where to write (default: beside the script)")
    parser.add_argument("--cache", type=Path, default=cache, help="folder that keeps the speech between runs")
    parser.add_argument("--epochs", type=int, default=18)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    args.out.mkdir(parents=True, exist_ok=True)

    training, held_out = load_split("train", args.cache), load_split("held_out", args.cache)
    print(f"training: {len(training.voices)} voices, {len(training.label)} utterances")
    model = KeywordSpotter()
    print(f"{sum(p.numel() for p in model.parameters() if p.requires_grad)} trained parameters")
    train(model, training, args.epochs)
    model.fold()
    clips, probabilities = report(model, held_out)

    archive = args.out / "model.nnef.tgz"
    write_archive(model, archive)
    (args.out / "labels.txt").write_text("\n".join(LABELS) + "\n")
    write_examples(model, held_out, clips, args.out)
    print(f"{archive.name}: {archive.stat().st_size} bytes")
    some = torch.arange(0, len(clips), 10)
    check_with_tract(archive, clips[some], probabilities[some])


if __name__ == "__main__":
    main()
