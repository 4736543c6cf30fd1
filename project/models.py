"""What the shop keeps itself, as any site does: its orders."""

from django.db import models


class Order(models.Model):
    """A product that somebody ordered, by the e-mail address that they gave."""

    email = models.EmailField(blank=True, db_index=True)
    sku = models.CharField(max_length=40)
    kind = models.CharField(max_length=20)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    placed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.sku} for {self.email or 'somebody'}"
