"""The page's people."""

from fastapi import APIRouter

router = APIRouter()
