"""What to answer to a flag that a program does not have: the one that was meant."""

from __future__ import annotations

import argparse
import difflib
import re

# Names that other training programs have for a flag: the examples of diffusers, StyleGAN, lightweight-gan, PyTorch's own.
SAME = {
    "adam_beta1": ("b1", "beta1"),
    "adam_beta2": ("b2", "beta2"),
    "base_channels": ("cbase", "fmap_max", "hidden_channels", "ndf", "network_capacity", "ngf"),
    "cache_gb": ("cache",),
    "checkpointing_steps": ("save_every", "save_interval", "save_model_epochs", "save_steps", "snap", "snapshot"),
    "checkpoints_total_limit": ("save_total_limit",),
    "classes": ("class", "class_name", "labels", "subset"),
    "conditional": ("class_cond", "class_conditional", "cond"),
    "dataloader_num_workers": ("cpus", "n_cpu", "num_workers", "workers"),
    "dataset_config_name": ("config", "config_name", "dataset_config"),
    "dataset_name": (
        *("data", "data_dir", "data_path", "data_root", "dataroot", "dataset", "dataset_dir", "dataset_path"),
        *("folder", "image_dir", "image_folder", "images", "input_dir", "instance_data_dir", "root", "train_data_dir"),
        *("train_dir", "training_dir"),
    ),
    "dataset_revision": ("revision",),
    "ema_decay": ("ema", "ema_beta", "ema_inv_gamma", "ema_kimg", "ema_max_decay", "ema_power", "use_ema"),
    "fit": ("center_crop", "crop"),
    "gradient_accumulation_steps": ("accumulate", "gradient_accumulate_every", "grad_accum"),
    "hub_private": ("hub_private_repo", "private"),
    "label_column": ("class_column", "label", "label_col", "target_column"),
    "latent_dim": ("latent_size", "n_latent", "noise_dim", "noise_size", "nz", "z_dim", "z_size", "zdim"),
    "learning_rate": ("dlr", "glr", "lr", "lr_d", "lr_g"),
    "logging_steps": ("log_every", "log_interval", "log_steps"),
    "lr_warmup_steps": ("warmup", "warmup_steps"),
    "max_train_samples": ("limit", "max_samples", "num_samples"),
    "max_train_steps": (
        *(
            "iterations",
            "iters",
            "kimg",
            "max_iter",
            "max_steps",
            "n_iter",
            "niter_steps",
            "num_iterations",
            "num_steps",
        ),
        *("num_train_steps", "steps", "total_kimg", "train_iters", "train_steps", "training_steps"),
    ),
    "mixed_precision": ("amp", "bf16", "fp16", "fp32", "precision", "use_fp16"),
    "num_channels": ("channels", "greyscale", "grayscale", "img_channels", "in_channels", "nc"),
    "num_train_epochs": ("epoch", "epochs", "max_epochs", "n_epochs", "niter", "num_epochs"),
    "output_dir": ("exp_dir", "logdir", "models_dir", "name", "out", "outdir", "output", "results_dir", "save_dir"),
    "pretrained_model_name_or_path": ("finetune", "init_from", "load_from", "model", "pretrained", "transfer"),
    "r1": ("gamma", "r1_gamma"),
    "random_flip": ("flip", "hflip", "horizontal_flip", "mirror"),
    "report_to": ("log_with", "logger", "tracker", "use_wandb", "wandb"),
    "resolution": ("image_size", "img_size", "imsize", "res", "resize", "sample_size", "size"),
    "resume_from_checkpoint": ("continue_train", "resume", "resume_from"),
    "sample_steps": ("evaluate_every", "sample_every", "sample_interval", "save_images_epochs", "save_image_every"),
    "seed": ("manual_seed", "manualseed", "random_seed"),
    "train_batch_size": ("batch", "batch_gpu", "batch_size", "batchsize", "bs", "per_device_train_batch_size"),
    "class_labels": ("class_label", "class_idx"),
    "num_images": ("n_samples", "seeds"),
}
BROUGHT = {other: flag for flag, others in SAME.items() for other in others}
# What needs a word more.
NOTES = {
    "kimg": "which counts steps of one batch, not thousands of images",
    "total_kimg": "which counts steps of one batch, not thousands of images",
    "use_ema": "for the saved weights are always averaged",
    "center_crop": "whose default crops the middle",
}


def flags_of(parser: argparse.ArgumentParser) -> list[str]:
    """The names of a parser's flags, without dashes."""
    return [text[2:] for action in parser._actions for text in action.option_strings if text.startswith("--")]


def suggestion(flag: str, known: list[str]) -> str:
    """What to say of a flag that is not known, such as "did you mean --dataset_name?"; empty if nothing comes near."""
    name = flag.lstrip("-").split("=", 1)[0].replace("-", "_").lower()
    if name in known:
        meant = name
    elif BROUGHT.get(name) in known:
        meant = BROUGHT[name]
    else:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.65)
        if not near:
            return ""
        (meant,) = near
    return f"did you mean --{meant}{f', {NOTES[name]}' if name in NOTES else ''}?"


def explain(parser: argparse.ArgumentParser, message: str) -> str:
    """A message of argparse, with what was meant by flags that it does not know."""
    known = flags_of(parser)
    unknown = re.match(r"unrecognized arguments: (.*)", message, re.DOTALL)
    ambiguous = re.match(r"ambiguous option: (\S+)", message)
    words = [ambiguous[1]] if ambiguous else unknown[1].split() if unknown else []
    flags = [word.split("=", 1)[0] for word in words if re.match(r"--?[A-Za-z]", word)]
    found = {flag: meant for flag in flags if (meant := suggestion(flag, known))}
    if ambiguous and found:
        return f"There is no {flags[0]}: {found[flags[0]]}"
    if not found:
        return message
    if len(flags) == 1:
        return f"unrecognized arguments: {flags[0]}: {found[flags[0]]}"
    told = "; ".join(f"{flag}: {found[flag]}" if flag in found else flag for flag in flags)
    return f"unrecognized arguments: {told}"
