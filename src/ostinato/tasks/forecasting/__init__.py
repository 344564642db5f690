"""What the forecasting recipe is made of: sizes, training, answers, measures, and the words and charts for them."""
