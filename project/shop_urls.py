"""The demo shop's pages."""

from django.urls import path

from project import views

app_name = "shop"

urlpatterns = [
    path("", views.home, name="home"),
    path("products/<slug:slug>/", views.product, name="product"),
    path("products/<slug:slug>/add/", views.add_to_cart, name="add-to-cart"),
    path("cart/", views.cart, name="cart"),
    path("cart/buy/", views.buy, name="buy"),
    path("cart/empty/", views.empty_cart, name="empty-cart"),
    path("me/", views.who_am_i, name="who-am-i"),
    path("me/forget/", views.forget_me, name="forget-me"),
    path("consent/", views.give_consent, name="consent"),
]
