"""The W&B tracker and client. The only folder that imports wandb."""
