"""The page's agreement."""

from fastapi import APIRouter

router = APIRouter()
