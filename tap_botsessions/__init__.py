"""Singer tap for chatbot analytics from Avaamo and Kore.ai."""
