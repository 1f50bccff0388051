"""Exported programs of torch (``.pt2``) as engines: run by torch itself, or compiled by Torch-TensorRT on a card."""
