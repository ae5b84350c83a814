"""Exported models in the ONNX format: conversion, quantization, and prediction without torch."""
