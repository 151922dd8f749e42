from django.db import migrations


def count_reviews(apps, schema_editor):
    Review = apps.get_model("catalog", "Review")
    ReviewSummary = apps.get_model("catalog", "ReviewSummary")
    for review in Review.objects.iterator():
        review.has_images = bool(review.images)
        review.save(update_fields=["has_images"])
        if review.is_visible:
            summary, _is_new = ReviewSummary.objects.get_or_create(product_id=review.product_id)
            stars = f"stars_{review.rating}"
            setattr(summary, stars, getattr(summary, stars) + 1)
            summary.with_images += review.has_images
            summary.save()


class Migration(migrations.Migration):
    dependencies = [("catalog", "0006_picture_sizes")]

    operations = [migrations.RunPython(count_reviews, migrations.RunPython.noop)]
