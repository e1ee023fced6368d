"""The page's rules."""

from fastapi import APIRouter

router = APIRouter()
