"""Harmless sentences, written for these tests, and what people do to hide a language."""

import pytest

ENGLISH = (
    "Our small town has a market every Saturday, and my grandmother has sold bread there for "
    "thirty years. She gets up long before the sun, lights the old oven and kneads the dough "
    "while the rest of us are still asleep. By eight o'clock the whole street smells of warm "
    "bread, and the first neighbours are already waiting at the door. I have often asked her "
    "why she does not rest a little more, and she always answers that the work keeps her "
    "young. In the afternoon we carry the empty baskets home, count the coins on the kitchen "
    "table and drink tea together. My brother wants to take over the bakery one day, although "
    "he still burns every second loaf. She only laughs about it, since her own first loaves "
    "were as hard as stones. Last winter the river rose so high that the market could not be "
    "held for three weeks, and everybody in the town noticed how much they missed it. When it "
    "opened again, people came from all the villages around, and there was nothing left on "
    "her table by ten in the morning. "
)

SENTENCES = {
    "de": "Wie kann ich am Wochenende mit meiner Familie ein Brot backen, das allen schmeckt?",
    "fr": "Comment puis-je préparer un bon pain pour toute ma famille pendant le week-end ?",
    "pl": "Jak mogę w weekend upiec z rodziną chleb, który wszystkim będzie smakował?",
    "ru": "Как мне испечь на выходных хлеб, который понравится всей моей семье?",
    "el": "Πώς μπορώ να ψήσω το Σαββατοκύριακο ένα ψωμί που θα αρέσει σε όλη την οικογένεια;",
    "ar": "كيف يمكنني أن أخبز في عطلة نهاية الأسبوع خبزا يعجب جميع أفراد عائلتي؟",
    "fa": "چگونه می‌توانم آخر هفته نانی بپزم که همه اعضای خانواده‌ام آن را دوست داشته باشند؟",
    "hi": "मैं सप्ताहांत में अपने परिवार के लिए अच्छी रोटी कैसे बना सकता हूँ?",
    "zh": "我怎样才能在周末为全家人烤出大家都喜欢吃的面包？",
    "ja": "週末に家族みんなが喜ぶパンを焼くにはどうすればいいですか？",
    "ko": "주말에 온 가족이 좋아하는 빵을 구우려면 어떻게 해야 하나요?",
    "th": "วันหยุดสุดสัปดาห์นี้ฉันจะอบขนมปังให้ทุกคนในครอบครัวชอบได้อย่างไร",
    "sw": "Tafadhali niambie jinsi ya kuoka mkate mzuri kwa ajili ya familia yangu yote.",
    "yo": "Báwo ni mo ṣe lè ṣe búrẹ́dì tí gbogbo ẹbí mi yóò fẹ́ràn ní òpin ọ̀sẹ̀ yìí?",
    "am": "በሳምንቱ መጨረሻ ቤተሰቤ በሙሉ የሚወደውን ዳቦ እንዴት መጋገር እችላለሁ?",
    "my": "စနေတနင်္ဂနွေမှာ မိသားစုအားလုံး ကြိုက်မယ့် ပေါင်မုန့်ကို ဘယ်လို ဖုတ်ရမလဲ။",
    "km": "តើខ្ញុំអាចដុតនំប៉័ងដែលក្រុមគ្រួសារទាំងមូលចូលចិត្តនៅចុងសប្តាហ៍ដោយរបៀបណា?",
    "si": "සති අන්තයේ මගේ පවුලේ සියලු දෙනාම කැමති පාන් මම පුළුස්සන්නේ කෙසේද?",
}

EVERY_LANGUAGE = [pytest.param(tag, text, id=tag) for tag, text in SENTENCES.items()]
