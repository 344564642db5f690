"""Models as people write them round torch.nn's recurrent layers; none of them knows of ostinato."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Tagger(nn.Module):
    """A word tagger: embeddings, a bidirectional stack over packed sentences, a class for each word."""

    def __init__(self, words=50, tags=7, width=12, hidden=16):
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.lstm = nn.LSTM(width, hidden, num_layers=2, bidirectional=True, dropout=0.1, batch_first=True)
        self.head = nn.Linear(2 * hidden, tags)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        out, (h, _) = self.lstm(packed)
        out, _ = pad_packed_sequence(out, batch_first=True)
        return self.head(out), torch.cat([h[-2], h[-1]], -1)

    def example(self, batch=5, time=9):
        lengths = torch.randint(1, time + 1, (batch,))
        lengths[0] = time
        words = torch.randint(1, self.embedding.num_embeddings, (batch, time))
        return words.masked_fill(torch.arange(time) >= lengths[:, None], 0), lengths


class Agent(nn.Module):
    """A recurrent Q-network in R2D2's manner: time first, state carried between calls, burn-in without gradient."""

    def __init__(self, seen=6, actions=4, hidden=16):
        super().__init__()
        self.torso = nn.Sequential(nn.Linear(seen, hidden), nn.ReLU())
        self.core = nn.LSTM(hidden + actions + 1, hidden)
        self.value, self.advantage = nn.Linear(hidden, 1), nn.Linear(hidden, actions)
        self.actions = actions

    def start(self, batch):
        return tuple(torch.zeros(1, batch, self.core.hidden_size) for _ in range(2))

    def unroll(self, seen, action, reward, state):
        T, B = seen.shape[:2]
        torso = self.torso(seen.reshape(T * B, -1)).view(T, B, -1)
        x = torch.cat([torso, nn.functional.one_hot(action, self.actions), reward[..., None]], -1)
        out, state = self.core(x, state)
        flat = out.view(T * B, -1)  # as it stands in many programs: it asks for a dense output
        advantage = self.advantage(flat)
        q = self.value(flat) + advantage - advantage.mean(-1, keepdim=True)
        return q.view(T, B, -1), state

    def forward(self, seen, action, reward, burn_in=3):
        first, rest = zip(*((v[:burn_in], v[burn_in:]) for v in (seen, action, reward)), strict=True)
        with torch.no_grad():
            _, state = self.unroll(*first, self.start(seen.shape[1]))
        q, state = self.unroll(*rest, state)
        return q, *state

    def example(self, batch=3, time=8):
        return torch.randn(time, batch, 6), torch.randint(0, self.actions, (time, batch)), torch.randn(time, batch)


class Translator(nn.Module):
    """Encoder and decoder with additive attention; the decoder reads back the word that it gave last."""

    def __init__(self, words=30, hidden=16):
        super().__init__()
        self.embedding = nn.Embedding(words, hidden)
        self.encoder = nn.GRU(hidden, hidden, bidirectional=True)
        self.bridge = nn.Linear(2 * hidden, hidden)
        self.decoder = nn.GRU(hidden + 2 * hidden, hidden, batch_first=True)
        self.score = nn.Sequential(nn.Linear(3 * hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.out = nn.Linear(hidden, words)

    def forward(self, source, steps=4):
        memory, h = self.encoder(self.embedding(source.t()))
        memory = memory.transpose(0, 1)  # (batch, time, 2 hidden)
        h = torch.tanh(self.bridge(torch.cat([h[0], h[1]], -1)))[None]
        word, logits = source[:, :1], []
        for _ in range(steps):
            query = h[-1][:, None].expand(-1, memory.shape[1], -1)
            weight = self.score(torch.cat([query, memory], -1)).softmax(1)
            context = (weight * memory).sum(1, keepdim=True)
            y, h = self.decoder(torch.cat([self.embedding(word), context], -1), h)
            logits.append(self.out(y))
            word = logits[-1].argmax(-1)
        return (torch.cat(logits, 1),)

    def example(self, batch=3, time=7):
        return (torch.randint(0, self.embedding.num_embeddings, (batch, time)),)


class Forecaster(nn.Module):
    """A plain RNN over the window and the same one step by step into the future, one series or many."""

    def __init__(self, hidden=16, horizon=3):
        super().__init__()
        self.rnn = nn.RNN(1, hidden, num_layers=2, nonlinearity="relu", batch_first=True)
        self.head, self.horizon = nn.Linear(hidden, 1), horizon

    def forward(self, window):
        out, h = self.rnn(window)
        found = [self.head(out[..., -1:, :])]
        while len(found) < self.horizon:
            out, h = self.rnn(found[-1], h)
            found.append(self.head(out))
        return torch.cat(found, -2), h

    def example(self, batch=4, time=10):
        return (torch.randn(batch, time, 1),)


class Language(nn.Module):
    """A language model with embedding and output tied, one recurrent module at two places."""

    def __init__(self, words=40, hidden=16):
        super().__init__()
        self.encoder = nn.Embedding(words, hidden)
        self.stack = nn.ModuleList([nn.LSTM(hidden, hidden), nn.GRU(hidden, hidden)])
        self.again = self.stack[0]
        self.decoder = nn.Linear(hidden, words)
        self.decoder.weight = self.encoder.weight

    def forward(self, words):
        x = self.encoder(words)
        for layer in [*self.stack, self.again]:
            x, _ = layer(x)
        return (self.decoder(x).view(-1, self.encoder.num_embeddings),)

    def example(self, batch=3, time=8):
        return (torch.randint(0, self.encoder.num_embeddings, (time, batch)),)


MODELS = (Tagger, Agent, Translator, Forecaster, Language)
