#!/usr/bin/env python3
"""Numbers for test_{optimiser,distribution,mlp}_golden.c from PyTorch in float64.

    pip install torch==2.13.0 numpy
    python3 tests/golden/make_numerics_golden.py    # writes three .safetensors beside this script

Inputs are float32 values, so that a float program starts from exactly the same numbers. Nothing here
is derived from the C sources except layouts: parameters per layer are W[n_in][n_out], b[n_out], and for
hidden layers with layer normalisation gain[n_out], offset[n_out].

optimisers      <case>_hyper    kind (0 Adam, 1 AdamW, 2 RMSProp, 3 TensorFlow's RMSProp), learning rate,
                                epsilon, beta1, beta2, decay, weight decay, max norm, schedule (0 constant,
                                1 linear, 2 cosine), in 10 steps at progress 0, 0.1 ... 0.9
                <case>_grad [10][n]   <case>_theta [11][n]   <case>_m, <case>_v [n] at the end
                <case>_norm [10]      before clipping        schedule_<name> [11] factors
distributions   gaussian_<shared|rows>_..., categorical_...: inputs, log_prob, entropy, gradients of
                sum(dlog_prob log_prob + dentropy entropy), and scales of rounding errors
mlp             <activation>_<plain|norm>_...: params, x, dout, y, grad, dx
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import Categorical, Normal

from golden import float32, write

SEED = 20150722


# ---- optimisers ----

ADAM, ADAMW, RMSPROP, RMSPROP_TF = range(4)
CONSTANT, LINEAR, COSINE = range(3)


class RmspropTf:
    """theta <- theta - lr g / sqrt(v + eps), v from 1, as tf.train.RMSPropOptimizer and
    Stable-Baselines3's RMSpropTFLike; L2 is added to the gradient."""

    def __init__(self, params, lr, alpha, eps, weight_decay):
        self.params, self.alpha, self.eps, self.weight_decay = params, alpha, eps, weight_decay
        self.param_groups = [{"lr": lr}]
        self.state = {p: {"square_avg": torch.ones_like(p)} for p in params}

    @torch.no_grad()
    def step(self):
        for p in self.params:
            g = p.grad + self.weight_decay * p
            v = self.state[p]["square_avg"]
            v.copy_(self.alpha * v + (1 - self.alpha) * g ** 2)
            p -= self.param_groups[0]["lr"] * g / torch.sqrt(v + self.eps)


def make_optimiser(kind, theta, lr, epsilon, betas, decay, weight_decay):
    if kind in (ADAM, ADAMW):
        cls = torch.optim.Adam if kind == ADAM else torch.optim.AdamW
        return cls([theta], lr=lr, betas=betas, eps=epsilon, weight_decay=weight_decay)
    cls = torch.optim.RMSprop if kind == RMSPROP else RmspropTf
    return cls([theta], lr=lr, alpha=decay, eps=epsilon, weight_decay=weight_decay)


def schedules():
    """Factors at progress 0, 0.1 ... 1 by PyTorch's own schedulers."""
    out = {}
    for name in ("linear", "cosine"):
        sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule = (torch.optim.lr_scheduler.LinearLR(sgd, 1.0, 0.0, 10) if name == "linear"
                    else torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 10))
        factors = []
        for _ in range(11):
            factors.append(sgd.param_groups[0]["lr"])
            sgd.step()
            schedule.step()
        out[name] = np.array(factors)
    return out


# From far below epsilon to huge, and one that never has a gradient.
SPREAD = np.array([1, 1, 1, 1, 1e-3, 1e-6, 1e-7, 1e-8, 1e-9, 1e3, 1e6, 0])
EQUAL = np.ones(12)


def optimiser_case(out, rng, name, kind, lr=0.05, epsilon=1e-8, betas=(0.9, 0.999), decay=0.99,
                   weight_decay=0.0, max_norm=0.0, schedule=CONSTANT, scale=SPREAD, norms=None):
    n = len(scale)
    factors = [np.ones(11), *schedules().values()][schedule]
    theta = torch.tensor(float32(rng.normal(0, 1, n)), requires_grad=True)
    grads = rng.normal(0, 1, (10, n)) * scale
    if norms is not None:
        grads *= (np.array(norms) / np.linalg.norm(grads, axis=1))[:, None]
    grads = float32(grads)
    optimiser = make_optimiser(kind, theta, lr, epsilon, betas, decay, weight_decay)
    thetas, lengths = [theta.detach().numpy().copy()], []
    for g, factor in zip(grads, factors):
        theta.grad = torch.tensor(g)
        lengths.append(torch.linalg.vector_norm(theta.grad).item())
        if max_norm > 0:
            torch.nn.utils.clip_grad_norm_([theta], max_norm)
        optimiser.param_groups[0]["lr"] = lr * factor
        optimiser.step()
        thetas.append(theta.detach().numpy().copy())
    state = optimiser.state[theta]
    is_adam = kind in (ADAM, ADAMW)
    hyper = [kind, lr, epsilon, *betas, decay, weight_decay, max_norm, schedule]
    out.update({f"{name}_hyper": hyper, f"{name}_grad": grads, f"{name}_theta": thetas,
                f"{name}_m": state["exp_avg"] if is_adam else np.zeros(n),
                f"{name}_v": state["exp_avg_sq" if is_adam else "square_avg"],
                f"{name}_norm": lengths})


def optimisers():
    rng = np.random.default_rng([SEED, 1])
    out = {f"schedule_{name}": factors for name, factors in schedules().items()}
    optimiser_case(out, rng, "adam", ADAM)
    optimiser_case(out, rng, "adam_other", ADAM, lr=0.01, epsilon=1e-5, betas=(0.5, 0.95))
    optimiser_case(out, rng, "adam_l2", ADAM, weight_decay=0.02)
    optimiser_case(out, rng, "adamw", ADAMW, weight_decay=0.3)
    optimiser_case(out, rng, "adamw_cosine", ADAMW, weight_decay=0.3, schedule=COSINE)
    optimiser_case(out, rng, "rmsprop", RMSPROP, lr=0.01)
    optimiser_case(out, rng, "rmsprop_l2", RMSPROP, lr=0.01, epsilon=1e-5, decay=0.9,
                   weight_decay=0.02)
    optimiser_case(out, rng, "rmsprop_tf", RMSPROP_TF, lr=0.01, epsilon=1e-5)
    optimiser_case(out, rng, "rmsprop_tf_l2", RMSPROP_TF, lr=0.01, epsilon=0.1, decay=0.9,
                   weight_decay=0.02)
    # Norms below and above the bound; SGD would show a factor, Adam hides it: RMSProp from 1 is nearly SGD.
    optimiser_case(out, rng, "clip", RMSPROP_TF, lr=0.1, epsilon=1e-5, decay=0.99, max_norm=0.5,
                   scale=EQUAL, norms=[0.1, 0.4, 0.49, 0.51, 0.6, 1, 5, 100, 1e4, 1e6])
    # So small a bound that the 1e-6 in PyTorch's factor shows, also just below the bound.
    optimiser_case(out, rng, "clip_small", RMSPROP_TF, lr=100, epsilon=1e-5, max_norm=1e-3,
                   scale=EQUAL, norms=[0.9995e-3] * 5 + [0.99e-3, 1e-3, 1.0005e-3, 2e-3, 1])
    optimiser_case(out, rng, "linear", ADAM, epsilon=1e-5, max_norm=0.5, schedule=LINEAR, scale=EQUAL)
    write("optimisers", out, seed=SEED, torch=torch.__version__)


# ---- distributions ----

def gaussian_case(out, rng, name, mean, raw, act):
    """mean, act [B][n_act]; raw log sigma [n_act] or [B][n_act]."""
    B = len(mean)
    mean = torch.tensor(float32(mean), requires_grad=True)
    raw = torch.tensor(float32(raw), requires_grad=True)
    act = torch.tensor(float32(act))
    dlog_prob, dentropy = (torch.tensor(float32(rng.normal(0, 1, B))) for _ in range(2))
    log_sigma = torch.clamp(raw, -20, 2)
    normal = Normal(mean, log_sigma.exp().expand_as(mean))
    log_prob, entropy = normal.log_prob(act).sum(-1), normal.entropy().sum(-1)
    (torch.sum(dlog_prob * log_prob) + torch.sum(dentropy * entropy)).backward()
    z2 = ((act - mean) / log_sigma.exp()) ** 2
    scale = (z2 / 2 + log_sigma.abs() + 1).sum(-1)
    ds_scale = dlog_prob.abs()[:, None] * (z2 + 1) + dentropy.abs()[:, None]
    if raw.dim() == 1:
        ds_scale = ds_scale.sum(0)
    out.update({f"{name}_{key}": value for key, value in {
        "mean": mean, "log_sigma": raw, "act": act, "dlog_prob": dlog_prob, "dentropy": dentropy,
        "log_prob": log_prob, "entropy": entropy, "dmean": mean.grad, "dlog_sigma": raw.grad,
        "scale": scale, "dlog_sigma_scale": ds_scale}.items()})


def gaussians(out, rng):
    below = float(np.nextafter(np.float32(-20), np.float32(-30)))
    above = float(np.nextafter(np.float32(2), np.float32(3)))
    raws = [-1, 0, -20, below, -100, 2, above, 7, -5]
    gaussian_case(out, rng, "gaussian_shared", rng.normal(0, 1, (16, 9)), raws,
                  rng.normal(0, 2, (16, 9)))
    # Every log sigma beside every mean and distance, two dimensions to a row.
    x = [(m, s, m + d) for m in (0, 0.5, -1000) for s in raws for d in (0, 1e-3, -1, 30)]
    ordinary = [(m, s, m + d) for m, s, d in rng.normal(0, 1, (32, 3))]
    x = np.array(ordinary + x).reshape(-1, 2, 3)
    gaussian_case(out, rng, "gaussian_rows", x[:, :, 0], x[:, :, 1], x[:, :, 2])


def categoricals(out, rng):
    n = 5
    extremes = [[0, 0, 0, 0, 0], [1e6] * 5, [0, 0, 0, 0, 200], [0, -200, 0, 90, 0],
                [1e30, -1e30, 0, 1, 2], [-1e4, 1e4, 1e4, 0, 0], [100, 99, 98, 97, 96],
                [-1e30] * 4 + [-1e20], [3, 3, -50, -80, -120]]
    ordinary = rng.normal(0, 2, (20, n))
    # Every extreme with every action.
    rows = np.concatenate([ordinary, np.repeat(extremes, n, axis=0)])
    act = np.concatenate([rng.integers(0, n, 20), np.tile(np.arange(n), len(extremes))])
    logits = torch.tensor(float32(rows), requires_grad=True)
    dlog_prob, dentropy = (torch.tensor(float32(rng.normal(0, 1, len(rows)))) for _ in range(2))
    categorical = Categorical(logits=logits)
    log_prob, entropy = categorical.log_prob(torch.tensor(act)), categorical.entropy()
    (torch.sum(dlog_prob * log_prob) + torch.sum(dentropy * entropy)).backward()
    # Quantiles, of numbers that are no closer to a boundary than rounding may reach.
    probs = categorical.probs.detach().numpy()
    cdf = np.cumsum(probs, axis=1)
    uniform = float32(rng.uniform(0, 1, len(rows)))
    while True:
        close = (np.abs(cdf - uniform[:, None]) < 1e-5).any(axis=1)
        if not close.any():
            break
        uniform[close] = float32(rng.uniform(0, 1, close.sum()))
    choice = (cdf <= uniform[:, None]).sum(axis=1)
    out.update({"categorical_logits": logits, "categorical_act": act,
                "categorical_dlog_prob": dlog_prob, "categorical_dentropy": dentropy,
                "categorical_log_prob": log_prob, "categorical_entropy": entropy,
                "categorical_dlogits": logits.grad, "categorical_log_pi": categorical.logits,
                "categorical_uniform": uniform, "categorical_choice": choice})


def distributions():
    rng = np.random.default_rng([SEED, 2])
    out = {}
    gaussians(out, rng)
    categoricals(out, rng)
    write("distributions", out, seed=SEED, torch=torch.__version__)


# ---- mlp ----

def mlps():
    rng = np.random.default_rng([SEED, 3])
    out, widths, B = {}, [4, 12, 9, 3], 6
    functions = {"relu": torch.relu, "tanh": torch.tanh, "silu": F.silu}
    for name, f in functions.items():
        for norm in (False, True):
            tensors = []
            for l, (n_in, n_out) in enumerate(zip(widths, widths[1:])):
                has_norm = norm and l + 2 < len(widths)
                values = [rng.normal(0, 0.7, (n_in, n_out)), rng.normal(0, 0.5, n_out)]
                if has_norm:
                    values += [rng.normal(1, 0.5, n_out), rng.normal(0, 0.5, n_out)]
                tensors.append([torch.tensor(float32(v), requires_grad=True) for v in values])
            x = rng.normal(0, 1, (B, widths[0]))
            x[-2:] *= 60    # far into saturation
            x = torch.tensor(float32(x), requires_grad=True)
            y = x
            for l, t in enumerate(tensors):
                y = y @ t[0] + t[1]
                if len(t) == 4:
                    y = F.layer_norm(y, (len(t[1]),), t[2], t[3], 1e-5)
                y = f(y) if l + 1 < len(tensors) else y
            dout = torch.tensor(float32(rng.normal(0, 1, y.shape)))
            torch.sum(dout * y).backward()
            flat = [t for layer in tensors for t in layer]
            out.update({f"{name}_{'norm' if norm else 'plain'}_{key}": value for key, value in {
                "params": torch.cat([t.detach().ravel() for t in flat]), "x": x, "dout": dout, "y": y,
                "grad": torch.cat([t.grad.ravel() for t in flat]), "dx": x.grad}.items()})
    out["widths"] = widths
    write("mlp", out, seed=SEED, torch=torch.__version__)


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    optimisers()
    distributions()
    mlps()


if __name__ == "__main__":
    main()
