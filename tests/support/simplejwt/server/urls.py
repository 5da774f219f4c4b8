"""The address of each view: the token endpoints end in a slash, the API mostly does not, as documented."""

from __future__ import annotations

from django.urls import path
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView

from tests.support.simplejwt.server import views

urlpatterns = [
    path("api/token/", TokenObtainPairView.as_view()),
    path("api/token/refresh/", TokenRefreshView.as_view()),
    path("api/accounts/<str:account_number>/balance", views.balance),
    path("api/payin", views.create),
    path("api/payout", views.create),
    path("api/transactions/<str:external_id>/status", views.transaction_status),
    path("api/virtual-account/<str:external_id>/activation/<str:how>/", views.activation),
    path("api/virtual-account/<str:external_id>", views.delete_virtual_account),
    path("api/slow", views.slow),
    path("api/echo", views.echo),
]
